"""A support platform for many tenants: it takes requests apart, hands out the parts and puts the answers together."""

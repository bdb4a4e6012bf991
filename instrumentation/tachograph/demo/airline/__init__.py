"""An airline's support agent: it answers customers, looks reservations up and, after a yes, changes them."""

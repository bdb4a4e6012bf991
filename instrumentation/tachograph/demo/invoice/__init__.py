"""A company's invoice desk: it reads suppliers' invoices, looks up what they are for and, when people agreed, pays."""

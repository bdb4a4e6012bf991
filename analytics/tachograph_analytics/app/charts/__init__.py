"""Charts as functions from facts to a drawing; the pages place them."""

"""Everything that ran: the table, what differs, what is done with the rows that are ticked."""

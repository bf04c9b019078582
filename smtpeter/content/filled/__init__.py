"""Mail of every kind with the values of one recipient in it: whole messages, the properties of a call, documents."""

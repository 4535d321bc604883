"""A user's own data: a folder, a table or a hub data set becomes a task source like any other."""

"""The worker: takes jobs from the table, runs each in a process of its own."""

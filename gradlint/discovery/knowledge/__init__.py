"""What is known of the field before any file is read: its libraries, optimizers, usual names."""

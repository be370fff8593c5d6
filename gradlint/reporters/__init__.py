"""The formats of a report, one a file: each renders a Report as text and never prints."""

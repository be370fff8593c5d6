"""The rules of gradlint, one file a rule."""

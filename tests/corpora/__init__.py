"""gradlint on the sources of installed packages, which nobody wrote for gradlint."""

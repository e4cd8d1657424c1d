"""What every report writes with: numbers as R prints them, columns of text, HTML pages, files."""

"""What a person sees in a terminal: tables and live views."""

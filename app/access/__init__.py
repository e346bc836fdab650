"""Who may do what: how the app was opened, who is who, what a visitor brings."""

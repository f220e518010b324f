"""How a deposit travels: onto a Dataverse server, and back."""

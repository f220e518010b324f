"""Publishing: from a commons to a deposit that can be cited, onto a Dataverse server, and back."""

"""What all steps share: errors, the request's door, clients, logging."""

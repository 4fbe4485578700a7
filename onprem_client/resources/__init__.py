"""One module per thing that the client manages on the backup server."""

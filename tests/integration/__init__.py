"""What meets a real server."""

"""What training costs: bytes and seconds."""

"""What every part of the project shares: revops.toml, where state lives, errors that speak to the user."""

"""The long-running service: every manifest of a folder on its schedule, for months."""

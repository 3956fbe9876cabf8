"""The page of the service, as files that a browser reads as they are."""

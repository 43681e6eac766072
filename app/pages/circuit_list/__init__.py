"""The page of all circuits: compared, uploaded, downloaded."""

"""How the chosen model behaves on digits that were changed in known ways."""

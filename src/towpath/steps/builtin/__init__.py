"""The actions that come with Towpath."""

"""What the commands show: pure functions from runs and facts to lines of styled text."""

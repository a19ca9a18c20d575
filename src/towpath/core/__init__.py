"""THE MACHINE: stimuli in, events and commands out; pure."""

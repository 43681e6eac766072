"""What this machine has, what is missing, and how to mend it: libraries, memory, disks, models, artifacts."""

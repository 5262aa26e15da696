"""The most that a search takes, apart from what searches: fields and links are held to it too."""

MOST_USERS = 10**9
"""Users at once, over all replicas [-]."""
MOST_GPUS = 1024
"""GPUs that a load may be laid out over [-]."""
MOST_OWNED = 1024
"""GPUs that may be there [-]."""
MOST_SECONDS = 1e6
"""The slowest goal [s]."""

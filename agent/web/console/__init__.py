"""The guard console: `/guard`, over HTTPS, logged in. It asks control like any other screen; it holds no hardware."""

"""A booted systemd, our RPM installed into it by rpm, clients on a network of their own."""

"""Lock files per backend, made by ``make locks``; read by ``engine.lockfile``."""

"""Official clients, used as their users use them: here on the fake engine, by ``tests.engine`` on the real one."""

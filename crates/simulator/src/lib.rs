//! Simulated providers over real HTTP: the demo, and the strict ones that tests use.

"""The checks, a module for each section; each has its own `CHECKS`, in the order in which they are told."""

"""Does the circuit alone do the job?"""

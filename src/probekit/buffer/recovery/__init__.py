"""What is done when the file is damaged, gone, or could not be used for a while.

Books are kept a second time, what can be read is salvaged, bad rows go, and every loss
gets a number.
"""

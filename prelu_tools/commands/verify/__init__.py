"""Does a candidate compute what its reference computes, with the same slopes?"""

"""Probe a model: is a part of it a PReLU, what does its code decide, which inputs reach a slope?"""

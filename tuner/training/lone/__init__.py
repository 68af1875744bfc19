"""Runs that are trained one at a time: tables and fitted regressors."""

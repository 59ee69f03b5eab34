"""Signature sets: fetched, tried, swapped, watched for age."""

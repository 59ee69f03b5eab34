"""The whole way of a mail in one short function of plain calls; read this first."""

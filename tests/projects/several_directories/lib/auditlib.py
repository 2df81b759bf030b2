TRIGGER = "audit_row"

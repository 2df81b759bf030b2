TABLE_PREFIX = "cfg_"

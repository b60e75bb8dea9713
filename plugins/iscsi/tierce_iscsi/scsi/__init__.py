"""The SCSI commands of a disk (SPC-4, SBC-3): CDBs in, device requests and replies out."""

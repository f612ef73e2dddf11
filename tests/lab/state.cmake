# Where the lab of this build lives. Short, because sockets in it have at most 107 bytes of path; by
# build directory, because two builds may be tested at once.
string(SHA256 CLOISTER_LAB_STATE "${PROJECT_BINARY_DIR}")
string(SUBSTRING "${CLOISTER_LAB_STATE}" 0 8 CLOISTER_LAB_STATE)
set(CLOISTER_LAB_STATE "/tmp/cloister-lab-${CLOISTER_LAB_STATE}")

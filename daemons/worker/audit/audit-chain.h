/* The audit trail checked record by record: numbers without a gap, each hash, and the head. */
#pragma once

#include "store/chain-check.h"

extern const ChainKind audit_chain;

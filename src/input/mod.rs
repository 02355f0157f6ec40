//! Inputs: files and streams, cut into blocks of whole lines.

//! Decides every change of the metadata: which records a request comes to, and what it is answered.

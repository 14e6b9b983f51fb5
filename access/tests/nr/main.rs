//! Stories of the 5G control plane: the core stands between scripted radios, UEs and neighbours.

mod attach;
mod ban;
mod clones;
mod device;
mod gnbs;
mod hostile;
mod mobility;
mod sessions;
mod ue;
mod world;
